"""Where a field lives: grids, the latitude–longitude grid, simplicial meshes, the sphere and graphs."""
