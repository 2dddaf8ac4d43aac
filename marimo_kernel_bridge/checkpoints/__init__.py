"""Checkpoints on disk: signed manifests, the blobs that they refer to, and the space that both take. Holds no pickle code."""
