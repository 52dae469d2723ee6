"""Tools of the repository: cluster, images, generators, figures. Not part of the distribution."""
