"""The mesh: how the logs of a space reach all of its devices. DESIGN.md has the path of one record.

    keys seal certificates         what is sent, under which name, readable by whom
    vectors publisher receiver     pure, or driven from outside: no thread, no socket, no waiting
    reconcile exchange shelf
    transport zenoh_session        what carries it; presence and splits, who is there; zenoh_session alone imports Zenoh
    plan trust session runner      one space on a node: whom to call and trust, and the thread that works
    node world watch control       the process, what it has from outside, and what it is asked
    pairing joining addresses      how a device becomes a member

Saving and searching never come here.
"""
