"""Dual prototypical contrastive learning (DPCL): its losses, its dictionary and the method that joins them."""
