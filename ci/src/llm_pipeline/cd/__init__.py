"""Delivery: what is published, promoted and rolled back, in a registry of images."""
