"""What draws docs/images, each by `python -m figures.NAME` in the repository's folder.

This file makes the folder a package, so that it wins against an installed one of that name.
"""
