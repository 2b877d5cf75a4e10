"""What the process of a node has from outside: clocks, randomness, what carries its traffic, and which nokosu it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from nokosu import __version__, clock, ids
from nokosu.config import Config
from nokosu.engine import located
from nokosu.mesh.supervisor import EngineMeans
from nokosu.mesh.transport import Settings, Transport
from nokosu.mesh.zenoh_session import ZenohTransport


class World(Struct, frozen=True, kw_only=True):
    """See above; a test replaces some of it."""

    wall_clock: clock.WallClock = clock.system_wall_clock
    monotonic: Callable[[], float] = time.monotonic
    random: ids.Random = os.urandom
    open_transport: Callable[[Settings], Transport] = ZenohTransport
    version: str = __version__

    def engine_means(self, config: Config) -> EngineMeans:
        """What the zenohds of that home are run with."""
        return EngineMeans(
            home=config.home,
            find=partial(located.find, config),
            open_transport=self.open_transport,
            wall_clock=self.wall_clock,
            random=self.random,
        )
