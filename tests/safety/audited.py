"""Carry out a command line of tlf and note what it does to the system: `python audited.py FILE WORD…`.

Run in a process of its own, because what listens to Python's audit events can never be taken away
again.
"""

import json
import os
import sys
from pathlib import Path

#: Events that change files: where in what they come with the paths are, each with where the folder is
#: that a relative one starts from, an open one's number.
PATHS = {
    "os.rename": ((0, 2), (1, 3)),
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.remove": ((0, 1),),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "shutil.rmtree": ((0, 1),),
    "shutil.move": ((1, None),),
    "shutil.copyfile": ((1, None),),
    "tempfile.mkstemp": ((0, None),),
    "tempfile.mkdtemp": ((0, None),),
    "sqlite3.connect": ((0, None),),
}
#: Events that start something, reach something, or make objects of what a file says.
DEEDS = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pickle.find_class",
        "socket.connect",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "webbrowser.open",
    }
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main():
    found = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)

    def note(event, *what):
        os.write(found, (json.dumps([event, *map(str, what)]) + "\n").encode())

    def note_path(event, path, folder=None):
        # A number is a file that was opened before.
        if isinstance(path, int):
            return
        known = isinstance(folder, int) and folder >= 0
        start = Path(f"/proc/self/fd/{folder}").readlink() if known else Path.cwd()
        # Links are not followed: what is changed is what stands there.
        note(event, os.path.normpath(start / os.fsdecode(path)))

    def hear(event, given):
        if event in DEEDS:
            note(event, *given)
        elif event == "open":
            path, mode, flags = given
            if (mode and set(mode) & set("wax+")) or (flags or 0) & WRITING:
                note_path(event, path)
        elif event in PATHS:
            for place, folder in PATHS[event]:
                note_path(event, given[place], None if folder is None else given[folder])

    sys.addaudithook(hear)
    from tlf.cli import main

    sys.exit(main(sys.argv[2:]))


if __name__ == "__main__":
    main()
