"""A plain PyTorch VaDE training step, which `benchmarks.speed` compares with; nothing else needs torch.

The public ports loop over clusters and read batches through a DataLoader. Here the clusters are one array axis and the
rows are in memory as float32, to compare with the best that PyTorch can do.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_LOG_2PI = math.log(2 * math.pi)


class VaDE(nn.Module):
    """The paper's networks and prior (arXiv:1611.05148, Sec. 4.2), with a Bernoulli p(x|z)."""

    def __init__(
        self,
        num_features: int,
        hidden: Sequence[int] = (500, 500, 2000),
        latent_dim: int = 10,
        num_clusters: int = 10,
    ) -> None:
        super().__init__()
        self.encoder = _perceptron([num_features, *hidden])
        self.z_mean = nn.Linear(hidden[-1], latent_dim)
        self.z_log_var = nn.Linear(hidden[-1], latent_dim)
        self.decoder = nn.Sequential(
            _perceptron([latent_dim, *reversed(hidden)]),
            nn.Linear(hidden[0], num_features),
        )
        self.logits = nn.Parameter(torch.zeros(num_clusters))
        self.means = nn.Parameter(torch.randn(num_clusters, latent_dim))
        self.log_vars = nn.Parameter(torch.zeros(num_clusters, latent_dim))

    def forward(self, x: Tensor) -> Tensor:
        """The batch's mean -ELBO, [] in nats, for x [B, D] in [0, 1] (arXiv:1611.05148, eqs. 12 and 16)."""
        h = self.encoder(x)
        z_mean, z_log_var = self.z_mean(h), self.z_log_var(h)
        z = z_mean + torch.exp(0.5 * z_log_var) * torch.randn_like(z_mean)
        log_px_given_z = -functional.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").sum(-1)
        log_p_c = torch.log_softmax(self.logits, -1)
        vars_c = torch.exp(self.log_vars)
        squares = (z[:, None] - self.means) ** 2
        log_pz_given_c = -0.5 * (_LOG_2PI + self.log_vars + squares / vars_c).sum(-1)
        log_q_c = torch.log_softmax(log_p_c + log_pz_given_c, -1)
        q_c = torch.exp(log_q_c)
        squares = (z_mean[:, None] - self.means) ** 2
        expected = -0.5 * (_LOG_2PI + self.log_vars + (torch.exp(z_log_var)[:, None] + squares) / vars_c).sum(-1)
        entropy_z = 0.5 * (_LOG_2PI + 1 + z_log_var).sum(-1)
        elbo = log_px_given_z + (q_c * (expected + log_p_c - log_q_c)).sum(-1) + entropy_z
        return -elbo.mean()


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(widths):
        layers += [nn.Linear(width_in, width_out), nn.ReLU()]
    return nn.Sequential(*layers)


def train_epoch(
    model: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer, x: Tensor, batch_size: int
) -> float:
    """Trains for one epoch over rows [N, D] in a new random order.

    Args:
      model: x [B, D] -> the loss, compiled or not.
      optimizer: the optimizer of the model's parameters.
      x: float32, on the model's device.
      batch_size: B; the last N mod B rows of the order are left out.

    Returns:
      The mean loss, nats.
    """
    order = torch.randperm(len(x), device=x.device)
    total = torch.zeros((), device=x.device)
    num_steps = len(x) // batch_size
    for step in range(num_steps):
        loss = model(x[order[step * batch_size : (step + 1) * batch_size]])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / num_steps
