"""Writers of committed files: each knows `--check`, which fails when what is committed is stale."""
