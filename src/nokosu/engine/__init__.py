"""The real zenohd beside the node: found, configured, started, watched and ended. DESIGN.md has the decisions.

    replication               the constant that all storages of a network share
    plugins complaints guard  what it loads, what it says when it cannot work, and how it never outlives us
    located                   which zenohd, and does it fit
    settings                  its whole configuration, made in one place
    process sockets           one of them, running, and where it really listens
    silence                   connections that end when their other end fell silent

Nothing here imports Zenoh, the store or the mesh.
"""
