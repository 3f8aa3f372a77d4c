"""A fleet: many devices, one release for each kind of them, sent in waves.

`inventory` and `selection` say which devices there are, `config` what a fleet's file may hold, `releases` which bundle
each kind of device gets. `rollout` decides and does nothing, `ledger` remembers and decides nothing, `hub` acts.
"""
