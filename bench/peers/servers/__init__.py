"""One server a peer, as its documents write it. Each runs in the environment of its peer, as `-m`."""
