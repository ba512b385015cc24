"""Fully Convolutional Networks for Semantic Segmentation, from archives to the papers' tables."""
