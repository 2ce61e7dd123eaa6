"""Every setting with its default, meaning and unit. The files in configs/ change only what differs.

Any field can be set on the command line: --config.train.num_epochs=50.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Returns the default settings. They are locked: a misspelled field is an error."""
    config = ConfigDict()
    config.seed = 0  # of all random numbers of a run: parameters, order of rows, noise, restarts
    # Number of runs, with the seeds seed, seed + 1, ... The best one has the highest modularity on the inputs' graph.
    config.num_runs = 1
    config.rate_factors = (1.0,)  # each seed is run once with each of these factors on all its learning rates
    # Of matrix products: 'default' (the device's own), 'float32', 'tensorfloat32' or 'bfloat16'. The rest is float32.
    config.precision = "default"
    # Folder that keeps compiled programs for later runs; '' for none; 'auto': JAX's own if it has one, else
    # ~/.cache/vade_jax, with at most 1 GiB.
    config.compilation_cache = "auto"
    config.report = True  # write report/index.html: results, curves, clusters and settings on one page

    config.data = ConfigDict()
    # A name in vade_jax.data.sources.SOURCES, or package.module:loader. 'file' reads data.path.
    config.data.name = "digits"
    # A .npy of rows [N, D] or images [N, H, W(, C)], an .npz with x (and labels y), a .csv, .tsv, .txt or .parquet
    # table, also as .csv.gz and the like, an .h5ad of cells, or a folder of images.
    # A run keeps the absolute path. --mode=predict reads new rows here; '' for the training rows. --mode=evaluate,
    # select_k and generate find training rows here that have moved.
    config.data.path = ""
    # Column of labels, of a table or of an .h5ad's obs; 'folder' for a folder of images; '' for none. Labels are scored
    # and never trained on.
    config.data.label_column = ""
    config.data.id_column = ""  # column of ids, of a table or of an .h5ad's obs, for the output files; '' for none
    # What is done to columns of dates in a table: 'drop' leaves them out, 'number' makes them days since 1970-01-01.
    config.data.dates = "drop"
    # What is done to the cells of an .h5ad. 'counts': scale each cell to a total of 10,000, then log(1 + x); 'none';
    # 'auto': 'counts' for non-negative integers that are not all 0 or 1, else 'none'.
    config.data.normalize = "auto"
    config.data.layer = ""  # the layer of an .h5ad that is read in place of X
    config.data.obsm = ""  # the entry of an .h5ad's obsm that is read in place of X
    config.data.raw = False  # read an .h5ad's raw in place of X
    config.data.image_size = 0  # resize images of a folder to this width and height, pixels; 0: all have one size
    config.data.skip_damaged = False  # leave out images of a folder that cannot be read, and name them
    # Folder of TFDS's data sets; '' for TFDS_DATA_DIR, else TFDS's default. For 'rcv1' scikit-learn's data folder.
    config.data.dir = ""
    config.data.train_split = "all"  # rows to cluster: a split, several joined by '+', or 'all'
    config.data.test_split = ""  # rows to score, never trained on; '' scores the training rows
    # Share of the rows to cluster, at most 1,000 of them, that get a cluster but are not trained on. Outliers are rows
    # less likely than these; 0: less likely than the training rows, which a network learns by heart.
    config.data.held_out_share = 0.1
    # 'range': to [0, 1] by the smallest and largest value of all columns; uint8 rows by 0 and the full scale of their
    # bits, the least of 1, 2, 3, 4, 7, 8, 15, 16, ..., 128, 255 that reaches their maximum; 'standardize': each column
    # to mean 0 and variance 1; 'rescale': each column to mean 0, and one factor for all to a mean variance of 1;
    # 'none'; 'auto': chosen from the rows; or another name in vade_jax.data.scaling.SCALINGS, or
    # package.module:function.
    config.data.scaling = "range"
    # Kinds of columns of a table, such as ('age=number', 'sex=category'); a column without a name has its number. The
    # kinds are number, positive (above 0, with a long tail), binary (0 and 1), category, count and heavy_tailed (a
    # number with a few extreme values). Columns that are not named here are what they look like.
    config.data.columns = ()
    # Columns of a table, or of an .h5ad's obs, that are no features: encoder and decoder see them, and the prior does
    # not, so that clusters do not follow them. Such as ('batch', 'donor'). Text, and whole numbers of at most 20
    # different values, are levels, and other columns are numbers; 'donor=category' or 'age=number' says which.
    config.data.covariates = ()
    # Column of weights of rows, numbers >= 0, of a table or of an .h5ad's obs; '' for none. A row of weight 2 counts in
    # the losses and the prior like two equal rows. Searches for starting clusters do not use them.
    config.data.weights = ""
    # Rows up to this size are copied to every device, with the [N, K] values that stages train towards; more rows are
    # streamed.
    config.data.max_resident_mib = 2048.0
    config.data.shard_mib = 64.0  # size of one part of streamed rows

    config.model = ConfigDict()
    config.model.num_clusters = 10  # K
    config.model.latent_dim = 10  # J
    # 'mlp', 'conv' (images), another name in vade_jax.networks.NETWORKS, or package.module:factory.
    config.model.network = "mlp"
    # Widths of the MLP encoder; the decoder has them in reverse order. auto: by the number of rows. 8,000 rows or more
    # with 100 columns or more get the paper's (500, 500, 2000).
    config.model.hidden = ("auto",)
    # First weights of the networks: 'lecun_normal' (each network's own) or 'glorot_uniform'.
    config.model.weights = "lecun_normal"
    # p(x|z): 'bernoulli' (x in [0, 1]); 'gaussian', 'gaussian_shared', 'gaussian_fixed' (with the log sigma_x^2 of
    # min_log_var), 'student_t' (any x); 'poisson', 'negative_binomial', 'zero_inflated_negative_binomial' (counts; a
    # row's total is its size factor); 'by_columns': by the kind of each column, see data.columns; 'auto': chosen from
    # the rows; or another name in vade_jax.networks.likelihoods.LIKELIHOODS, or package.module:factory.
    config.model.likelihood = "bernoulli"
    config.model.min_log_var = -6.0  # lower bound of log sigma_x^2 of the Gaussian likelihoods

    # Random changes of what the encoder sees in training; the target is the original.
    config.augment = ConfigDict()
    config.augment.max_degrees = 0.0  # images: rotation by a random angle in [-this, this]
    config.augment.max_shift = 0.0  # images: shift along each side by a random share of it in [-this, this]
    # Rows with gaps: the share of further entries that are hidden, in [0, 1); auto: 0.2.
    config.augment.hide_share = "auto"

    config.optimizer = ConfigDict()  # Adam, in every stage
    config.optimizer.rate_factor = 1.0  # multiplies every learning rate of every stage
    config.optimizer.schedule = "cosine"  # of the learning rates: 'constant', 'cosine' or 'staircase'
    config.optimizer.final_fraction = 0.05  # lower bound of 'cosine' and 'staircase', as a fraction of the first rate
    config.optimizer.decay_rate = 0.9  # 'staircase': the rate is multiplied by this ...
    config.optimizer.decay_epochs = 10  # ... every this many epochs
    config.optimizer.min_steps = 1000  # on few rows an epoch goes through them several times, for this many in a stage
    # Whether a stage ends, and goes back to its best epoch, once the loss of held-out rows (data.held_out_share) has
    # been higher by a standard error for a fifth of its epochs: 'on', 'off'; 'auto': on for less than 8,000 rows.
    config.optimizer.early_stopping = "auto"
    config.optimizer.adam_epsilon = 1e-8  # added to the denominator of Adam's step
    config.optimizer.max_grad_norm = 0.0  # a gradient of a larger global norm is scaled down to it, nats; 0: never

    config.pretrain = ConfigDict()  # stage 1: the autoencoder
    # 'autoencoder' or 'vae', a key of vade_jax.training.objectives.PRETRAINING.
    config.pretrain.objective = "autoencoder"
    config.pretrain.workdir = ""  # take the autoencoder of this run, which has the same rows; '' to train one
    config.pretrain.num_epochs = 120  # passes over the rows; 0: the stage is left out
    config.pretrain.batch_size = 256  # over all devices
    config.pretrain.learning_rate = 1e-3  # of encoder and decoder
    config.pretrain.prior_learning_rate = 0.0  # the autoencoder has no prior
    config.pretrain.kl_warmup_epochs = 20  # 'vae': the weight of the KL term rises from 0 to 1 in this many epochs

    config.init = ConfigDict()  # then clusters of the embedding are found, and the prior is fitted to them
    # A key of vade_jax.initialization.methods.METHODS. auto: 'gaussians_or_communities' for less than 8,000 rows or for
    # categories, else 'manifold'.
    config.init.method = "auto"
    # Number of mixtures or k-means fitted to each layout, embedding or inputs, or of communities found at each
    # resolution; the best is kept.
    config.init.num_restarts = 5
    config.init.covariance = "full"  # 'gmm': of the mixture fitted to the embedding, 'full' or 'diag'
    config.init.num_layouts = 4  # 'manifold': number of UMAP layouts of the neighbour graph
    # The neighbour graph of 'communities' and 'manifold': nearest rows in the 'embedding', or the nearest ones of
    # 'both' the embedding and the inputs.
    config.init.neighbors = "both"
    # Number of a row's neighbours there, as a share of an average cluster's rows; at least 10 and at most 60.
    config.init.neighbor_share = 0.05
    # 'manifold': mixtures have 1 to this many components per cluster, which are merged by the neighbour graph.
    config.init.components = 2
    # 'communities' and 'manifold': clusters are split into groups of about this many rows, and a group moves to the
    # cluster where most of its neighbours among the inputs are; 0: no groups move.
    config.init.part_rows = 70
    # The memberships that a stage trains towards are less certain where this many of a row's nearest inputs, a Gaussian
    # mixture or nearby groups of rows disagree with its cluster. At most a fifth of an average cluster's rows; 0: they
    # are as found.
    config.init.soft_neighbors = 40
    # Clusters are found on at most this many random rows, no two of them equal. A row that equals one of them takes its
    # memberships, and the other rows those of their neighbours.
    config.init.max_rows = 100_000
    # The prior that is fitted to them: 'moments' (weights, means and variances of the clusters), 'equal_weights' (means
    # and variances of their latent means, equal weights) or 'unit_variances' (means, equal weights, variances of 1).
    config.init.prior = "moments"
    config.init.log_var = -4.0  # log sigma_z^2 of the encoder when clustering starts

    config.guide = ConfigDict()  # stage 2: the ELBO with q(c|x) fixed to these clusters
    config.guide.num_rounds = 1  # of finding clusters and training towards them, at most; 0: none
    config.guide.num_epochs = 10  # for each round
    config.guide.batch_size = 256  # over all devices
    config.guide.learning_rate = 2e-3  # of encoder and decoder
    config.guide.prior_learning_rate = 2e-3  # of the mixture prior
    config.guide.num_samples = 1  # L, draws of z for each row and step
    config.guide.kl_c_weight = 100.0  # of KL(q(c|x) || p(c|z)); with 1 the objective is the ELBO

    config.align = ConfigDict()  # stage 3: the same once more, after the last round
    config.align.num_epochs = 10  # 0: the stage is left out
    config.align.batch_size = 256  # over all devices
    config.align.learning_rate = 1e-3  # of encoder and decoder
    config.align.prior_learning_rate = 1e-3  # of the mixture prior
    config.align.num_samples = 1  # L, draws of z for each row and step
    config.align.kl_c_weight = 100.0  # of KL(q(c|x) || p(c|z)); with 1 the objective is the ELBO

    config.train = ConfigDict()  # stage 4: the ELBO
    # 'elbo', or 'dec' (Xie et al. 2016), which trains no decoder; a key of vade_jax.training.objectives.CLUSTERING.
    config.train.objective = "elbo"
    config.train.num_epochs = 4  # passes over the rows; 0: the stage is left out
    config.train.batch_size = 256  # over all devices
    config.train.learning_rate = 5e-5  # of encoder and decoder
    config.train.prior_learning_rate = 5e-5  # of the mixture prior
    config.train.estimator = "optimal"  # of q(c|x): 'sample', 'mean' or 'optimal'
    config.train.num_samples = 1  # L, draws of z for each row and step
    config.train.kl_warmup_epochs = 0  # the weight of the KL term rises from 0 to 1 in this many epochs

    config.doctor = ConfigDict()  # checks every epoch for collapse, and applies cures
    # For each stage, then the run ends with exit status 3. 0: a collapse is reported and the run goes on; only numbers
    # that are not finite end it.
    config.doctor.max_cures = 3
    # An epoch with a NaN or infinite loss or parameter: 'retreat' rolls back to the last checkpoint; 'skip' leaves out
    # the steps whose gradient is not finite, and counts them.
    config.doctor.not_finite = "retreat"
    config.doctor.watch_rows = 2000  # number of random rows whose clusters are computed after every epoch

    config.evaluate = ConfigDict()
    config.evaluate.estimator = "optimal"  # of q(c|x), for the clusters of rows and the reported ELBO
    config.evaluate.batch_size = 1024  # rows for one device call, over all devices
    config.evaluate.bound_samples = 50  # L of the importance-weighted bound ...
    # ... on this many random rows, of the test rows or of those held out; 0: on all of these.
    config.evaluate.bound_rows = 1000

    config.checkpoint = ConfigDict()
    # Besides those at the beginning and the end of each stage; 0: every 10, or as many as 1,000 steps take.
    config.checkpoint.every_epochs = 0
    # Number of the last checkpoints that are kept. 0: none is written, and a run that is cut off begins anew.
    config.checkpoint.keep = 2

    config.predict = ConfigDict()  # --mode=predict: clusters of the rows in data.path
    # The .csv, .parquet or .npz to write, for cells also an .h5ad, a copy of theirs; '' for predictions.npz in the
    # workdir. Ids are written as they are. A spreadsheet takes one that begins with =, +, - or @ for a formula: import
    # such a column as text.
    config.predict.output = ""
    config.predict.with_log_likelihood = True  # also write log p(x) and outliers; takes many times longer
    config.predict.with_responsibilities = False  # also write the model's own q(c|x), which is not calibrated
    config.predict.outlier_share = 0.01  # the share of outliers among new rows like the training rows

    config.generate = ConfigDict()  # --mode=generate: draws of the model, or a line between two points z
    config.generate.output = ""  # .png (images), .csv, .parquet or .npz; '' for generated.png or .csv in the workdir
    config.generate.seed = 0  # of the draws
    # 'sample': draws x ~ p(x|z), with its noise; 'mean': E[x|z]; 'auto': 'mean' for images and lines, else 'sample'.
    config.generate.kind = "auto"
    # '-1': c ~ Cat(pi) for every draw; 'each': as many draws of each cluster; or the number of one cluster;
    # 'auto': 'each' for images, else '-1'.
    config.generate.cluster = "auto"
    config.generate.between_clusters = ()  # two clusters: z goes from the first mean to the second; () for draws
    config.generate.between_rows = ()  # indices of two training rows: z goes from the first's mean to the second's
    config.generate.num_samples = 10  # rows in all; with 'each', of each cluster; on a line, including both ends
    # Values of covariates, such as ('batch=b1',); the others are those of random training rows, on a line unknown.
    config.generate.covariates = ()
    config.generate.truncation = 0.0  # z lies within this many standard deviations of its cluster's mean; 0: no limit

    config.select_k = ConfigDict()  # --mode=select_k: recommends a number of clusters
    config.select_k.min_clusters = 1  # smallest K that is tried
    config.select_k.max_clusters = 20  # largest K that is tried
    config.select_k.num_splits = 5  # number of random splits of the rows into halves, which are clustered separately
    config.select_k.max_rows = 10_000  # uses at most this many random rows; equal ones count once

    return config.lock()
