"""Geometry, surgery, backbones and the fully convolutional network."""
