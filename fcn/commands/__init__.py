"""The commands for people, one module each; the graph's stages are in fcn/stages."""
