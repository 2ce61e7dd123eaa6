"""Every setting once, with its meaning and unit. The configs start from these and change only what differs.

Any field can be set on the command line: --config.train.num_epochs=50.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The settings that every config starts from; locked, so that a misspelled field is an error."""
    config = ConfigDict()
    config.seed = 0  # of all randomness of a run: parameters, order, noise, restarts
    config.num_runs = 1  # with the seeds from there on; the one whose clusters cut the inputs' graphs best is taken
    config.rate_factors = (1.0,)  # each seed is run with each of these on its learning rates
    # Of matrix products: 'default' is the device's own, 'float32', 'tensorfloat32' or 'bfloat16'; all else is float32.
    config.precision = "default"
    config.compilation_cache = ""  # a folder that keeps what was compiled for the next run; '' for none
    config.report = True  # report/index.html: results, curves, clusters and settings of the run as one page

    config.data = ConfigDict()
    config.data.name = "digits"  # a key of vade_jax.data.SOURCES; 'file' reads data.path
    # a .npy of rows [N, D] or images [N, H, W(, C)], an .npz of x (and labels y), a .csv, .tsv or .parquet table, an
    # .h5ad of cells (counts: each cell to a total of 10,000, then log(1 + x)), or a folder of images
    config.data.path = ""
    # of a table or of an .h5ad's obs, or 'folder' of a folder of images: is scored, and never trained on; '' for none
    config.data.label_column = ""
    config.data.id_column = ""  # of a table or of an .h5ad's obs: is kept beside the answers; '' for none
    # a folder of images: its images are resized to a square of so many pixels; 0: all must have one size
    config.data.image_size = 0
    # where TFDS keeps its data sets; '' for TFDS_DATA_DIR, else TFDS's own default; of 'rcv1' scikit-learn's
    config.data.dir = ""
    config.data.train_split = "all"  # rows to cluster: a split, several joined by '+', or 'all'
    config.data.test_split = ""  # rows to score instead, never trained on; '' scores the training rows
    # 'range': to [0, 1] by the least and largest value of all; 'standardize': each column to mean 0 and variance 1;
    # 'rescale': each column to mean 0, and all by one number to a mean variance of 1; 'none';
    # 'auto': as the rows suggest
    config.data.scaling = "range"
    config.data.max_resident_mib = 2048.0  # of rows that lie whole on each device; more are streamed to it in shards
    config.data.shard_mib = 64.0  # of a shard

    config.model = ConfigDict()
    config.model.num_clusters = 10  # K
    config.model.latent_dim = 10  # J
    config.model.network = "mlp"  # a key of vade_jax.networks.NETWORKS: 'mlp' or 'conv' (images)
    config.model.hidden = (500, 500, 2000)  # widths of the MLP encoder; the decoder mirrors them
    # p(x|z): a key of vade_jax.networks.model.LIKELIHOODS; 'bernoulli' is for x in [0, 1]; 'auto': as the rows suggest
    config.model.likelihood = "bernoulli"
    config.model.min_log_var = -6.0  # least log sigma_x^2 that the Gaussian likelihood can learn

    config.augment = ConfigDict()  # in training the encoder sees images moved, the decoder gives them as they are
    config.augment.max_degrees = 0.0  # each is turned by a random angle up to this, either way
    config.augment.max_shift = 0.0  # and shifted along each side by a random share of it up to this, either way

    config.optimizer = ConfigDict()  # Adam, in every stage
    config.optimizer.rate_factor = 1.0  # on every learning rate of every stage
    config.optimizer.schedule = "cosine"  # of the learning rates: 'constant', 'cosine' or 'staircase'
    config.optimizer.final_fraction = 0.05  # floor of 'cosine' and 'staircase', as a fraction of the first rate
    config.optimizer.decay_rate = 0.9  # of 'staircase': times this ...
    config.optimizer.decay_epochs = 10  # ... every so many epochs
    config.optimizer.min_steps = 1000  # a stage on few rows gets so many more epochs that it has as many steps
    config.optimizer.adam_epsilon = 1e-8
    config.optimizer.max_grad_norm = 0.0  # gradients of a larger global norm are scaled down to it, nats; 0: never

    config.pretrain = ConfigDict()  # stage 1: the autoencoder
    config.pretrain.objective = (
        "autoencoder"  # a key of vade_jax.training.objectives.PRETRAINING: 'autoencoder' or 'vae'
    )
    config.pretrain.workdir = ""  # of a run on the same rows whose autoencoder is taken; '' to train one
    config.pretrain.num_epochs = 120
    config.pretrain.batch_size = 256  # over all devices
    config.pretrain.learning_rate = 1e-3
    config.pretrain.prior_learning_rate = 0.0  # the autoencoder has no prior
    config.pretrain.kl_warmup_epochs = 20  # 'vae': the weight of the KL term rises from 0 to 1 over so many epochs

    config.init = ConfigDict()  # then clusters in the embedding, and the prior that holds them
    config.init.method = "manifold"  # a key of vade_jax.initialization.METHODS
    config.init.num_restarts = 5  # mixtures or k-means fitted, on each layout; the best is kept
    config.init.covariance = "full"  # 'gmm': of the mixture fitted to the embeddings, 'full' or 'diag'
    config.init.num_layouts = 4  # 'manifold': of the neighbour graph
    config.init.neighbors = "both"  # 'manifold': in the 'embedding', or the nearest of 'both' it and the inputs
    config.init.neighbor_share = 0.05  # 'manifold': of an average cluster's rows, that a row is joined to; 10 to 60
    # 'manifold': mixtures have 1 to so many components for each cluster, and neighbours say which are joined
    config.init.components = 2
    # 'manifold': clusters are cut into parts of about so many rows, which go where the inputs' neighbours are; 0: not
    config.init.part_rows = 70
    config.init.max_rows = 100_000  # that clusters are found on; the others take their neighbours'
    config.init.log_var = -4.0  # log sigma_z^2 that the encoder starts clustering from

    config.guide = ConfigDict()  # stage 2: the ELBO with q(c|x) held at those clusters
    config.guide.num_rounds = 1  # at most, of finding clusters and guiding the model to them; 0: none
    config.guide.num_epochs = 10  # a round
    config.guide.batch_size = 256  # over all devices
    config.guide.learning_rate = 2e-3  # of encoder and decoder
    config.guide.prior_learning_rate = 2e-3  # of the mixture prior
    config.guide.num_samples = 1  # L, draws of z for each row and step
    config.guide.kl_c_weight = 100.0  # of KL(q(c|x) || p(c|z)); 1 is the bound itself

    config.align = ConfigDict()  # stage 3: the same once more, after the last round
    config.align.num_epochs = 10  # 0: no such stage
    config.align.batch_size = 256  # over all devices
    config.align.learning_rate = 1e-3  # of encoder and decoder
    config.align.prior_learning_rate = 1e-3  # of the mixture prior
    config.align.num_samples = 1  # L, draws of z for each row and step
    config.align.kl_c_weight = 100.0  # of KL(q(c|x) || p(c|z)); 1 is the bound itself

    config.train = ConfigDict()  # stage 4: the ELBO
    # a key of vade_jax.training.objectives.CLUSTERING: 'elbo', or 'dec' (Xie et al. 2016), which trains no decoder
    config.train.objective = "elbo"
    config.train.num_epochs = 4
    config.train.batch_size = 256  # over all devices
    config.train.learning_rate = 5e-5  # of encoder and decoder
    config.train.prior_learning_rate = 5e-5  # of the mixture prior
    config.train.estimator = "optimal"  # of q(c|x): 'sample', 'mean' or 'optimal'
    config.train.num_samples = 1  # L, draws of z for each row and step
    config.train.kl_warmup_epochs = 0  # the weight of the KL term rises from 0 to 1 over so many epochs

    config.doctor = ConfigDict()  # watches every epoch for collapse, and mends it
    config.doctor.max_cures = 3  # tried in a stage before the run ends with status 3
    # 'retreat': an epoch in which a loss or a parameter becomes NaN or infinite is undone; 'skip': its steps whose
    # gradient is not finite are left out, and counted
    config.doctor.not_finite = "retreat"
    config.doctor.watch_rows = 2000  # drawn at random, whose clusters are looked at after each epoch

    config.evaluate = ConfigDict()
    config.evaluate.estimator = "optimal"  # of the q(c|x) that assigns rows to clusters, and of the printed ELBO
    config.evaluate.batch_size = 1024  # rows for one device call, over all devices
    config.evaluate.bound_samples = 50  # L of the importance-weighted bound ...
    config.evaluate.bound_rows = 1000  # ... on so many rows drawn at random; 0: on all

    config.checkpoint = ConfigDict()
    config.checkpoint.every_epochs = 10  # and at the end of each stage
    config.checkpoint.keep = 2  # the last so many stay

    config.predict = ConfigDict()  # --mode=predict: clusters of the rows in data.path
    config.predict.output = ""  # the .csv, .parquet or .npz to write; '' for predictions.npz in the workdir
    config.predict.with_log_likelihood = True  # log p(x) and the outliers too, at many times the seconds
    config.predict.outlier_share = 0.01  # rows less likely than all but this share of the scored rows are outliers

    config.generate = ConfigDict()  # --mode=generate: E[x|z] for z of clusters, or on a line
    config.generate.output = ""  # .png (images), .csv, .parquet or .npz; '' for generated.png or .csv in the workdir
    config.generate.seed = 0  # of the draws
    config.generate.cluster = -1  # that z is drawn from; -1: each in turn
    config.generate.between_clusters = ()  # two: z from the mean of the first to that of the second
    config.generate.between_rows = ()  # numbers of two training rows: z from the one's mean to the other's
    config.generate.num_samples = 10  # of each cluster, or on the line with both its ends
    config.generate.truncation = 0.0  # z within so many standard deviations of its cluster's mean; 0: anywhere

    config.select_k = ConfigDict()  # --mode=select_k: how many clusters there are
    config.select_k.min_clusters = 1  # the least K ...
    config.select_k.max_clusters = 20  # ... and the largest that is tried
    config.select_k.num_splits = 5  # of the rows into halves, which are clustered each by itself
    config.select_k.max_rows = 10_000  # drawn at random

    return config.lock()
