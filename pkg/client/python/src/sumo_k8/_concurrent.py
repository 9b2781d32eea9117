"""One thing done for many items, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def asynchronously(do: Callable[[T], Awaitable[R]], items: Iterable[T], at_a_time: int) -> list[R | Exception]:
    """What do makes of each item, in the order of items; an exception stands for the result of its item."""
    room = asyncio.Semaphore(at_a_time)

    async def one(item: T) -> R | Exception:
        async with room:
            try:
                return await do(item)
            except Exception as e:
                return e

    return list(await asyncio.gather(*(one(item) for item in items)))


def in_threads(do: Callable[[T], R], items: Iterable[T], at_a_time: int) -> list[R | Exception]:
    """What do makes of each item, in the order of items; an exception stands for the result of its item."""

    def one(item: T) -> R | Exception:
        try:
            return do(item)
        except Exception as e:
            return e

    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(one, items))
