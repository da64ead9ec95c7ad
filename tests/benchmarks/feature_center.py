"""Where in its block of 8 x 8 input pixels a feature looks: edges between two textures, found in feature space.

Usage: python tests/benchmarks/feature_center.py [--model NAME] [--pairs 12]

Two random textures meet at a known column or row. Along the edge's normal, the difference of the cosines to the two
textures' mean features changes its sign where the encoder sees the edge. Each pair is taken in both orders, so that
a texture that shines further than the other cancels out.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn.functional import normalize

from backend.encoders.catalogue import load_model
from backend.encoders.runner import EncoderRunner

SIDE = 384
STRIDE = 8


def texture(sigma: float, seed: int) -> NDArray[np.float32]:
    """A random texture with shape (3, SIDE, SIDE) of one standard deviation whatever its grain."""
    noise = np.random.default_rng(seed).normal(size=(3, SIDE, SIDE))
    smooth = np.stack([gaussian_filter(band, sigma) for band in noise])
    return (110 + 40 * smooth / smooth.std()).astype(np.float32)


def edge_positions(
    runner: EncoderRunner, first: NDArray[np.float32], second: NDArray[np.float32], axis: int
) -> list[float]:
    """Where the encoder sees the edge, in features from the start, less the true place in features."""
    found = []
    for edge in range(192, 192 + STRIDE):  # every phase against the stride, so that its rounding cancels out
        image = first.copy()
        index = [slice(None)] * 3
        index[axis] = slice(edge, None)
        image[tuple(index)] = second[tuple(index)]
        features = normalize(runner.encode(torch.from_numpy(image)), dim=0)
        means = [normalize(runner.encode(torch.from_numpy(t)).mean((1, 2)), dim=0) for t in (first, second)]
        difference = torch.einsum("chw,c->hw", features, means[0] - means[1]).numpy()
        profile = difference.mean(axis=2 - axis)[4:-4]
        profile = profile - (profile[:12].mean() + profile[-12:].mean()) / 2
        for k in np.flatnonzero((profile[:-1] > 0) & (profile[1:] <= 0)):
            found.append((4 + k + profile[k] / (profile[k] - profile[k + 1])) - edge / STRIDE)
    return found


def main() -> None:
    """Print the mean position and its standard error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model")
    parser.add_argument("--pairs", type=int, default=2)
    args = parser.parse_args()
    runner = EncoderRunner(load_model(args.model).encoder, torch.device("cpu"))
    means = []
    for pair in range(args.pairs):
        textures = texture(1.0, pair), texture(3.0, 1000 + pair)
        for axis in (1, 2):
            both = [np.mean(edge_positions(runner, *order, axis)) for order in (textures, textures[::-1])]
            means.append(-STRIDE * float(np.mean(both)))
    error = np.std(means) / np.sqrt(len(means))
    print(f"feature k looks at 8 k + {np.mean(means):.2f} (standard error {error:.2f}, {len(means)} edges)")


if __name__ == "__main__":
    main()
