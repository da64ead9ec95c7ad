"""Encoders: from 8-bit images to feature maps at 1/8, and the checkpoints that hold them."""
