# SPDX-License-Identifier: Apache-2.0
"""What the disk does by itself: beside the servers' data, 4 KiB are written and flushed every few milliseconds.
Where that takes long, no log can be flushed sooner, whatever the servers do."""
import os
import threading
import time

SLOW = 0.020
PAUSE = 0.004
TAIL = 0.25  # so long after a stall its backlog is still being answered


class DiskProbe:
    """A context. Times are the monotonic clock's, in seconds."""

    def __init__(self, folder, flush=os.fdatasync, clock=time.monotonic):
        self.flush, self.clock = flush, clock
        self.path = folder / f"disk-probe-{os.getpid()}"
        self.stalls = []  # (begin, end) of each slow flush
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def watch(self):
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not self.ended.wait(PAUSE):
                begin = self.clock()
                os.pwrite(file, b"p" * 4096, 0)
                self.flush(file)
                end = self.clock()
                if end - begin > SLOW:
                    self.stalls.append((begin, end))
        finally:
            os.close(file)
            os.unlink(self.path)

    def stalled(self, begin, end):
        """Seconds of [begin, end) during which a slow flush was under way."""
        return sum(max(0.0, min(end, to) - max(begin, since)) for since, to in self.stalls)

    def quick(self, begin, end):
        """Whether the disk alone was no reason to wait for an answer that came in [begin, end)."""
        return self.stalled(begin - TAIL, end) == 0
