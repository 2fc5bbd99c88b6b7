"""A small disk in memory that runs full, has no room for another file, or can only be read."""

import os
import subprocess


class Disk:
    """A file system of its own (tmpfs), which only root can make.

    Args:
        folder: An empty one, where it is mounted.

    Raises:
        PermissionError: where this user may not mount anything.
    """

    def __init__(self, folder):
        self.folder = folder
        try:
            _mount("-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder))
        except (OSError, subprocess.CalledProcessError) as error:
            raise PermissionError(f"this user may not mount a disk of its own ({error})") from None

    def roomy(self):
        """As at first: room for everything."""
        self._again("rw,size=256m,nr_inodes=100000")

    def full(self, left):
        """Room for so many bytes more."""
        found = os.statvfs(self.folder)
        self._again(f"size={(found.f_blocks - found.f_bfree) * found.f_frsize + left}")

    def no_more_files(self, left):
        """Room for so many files and folders more, however small."""
        found = os.statvfs(self.folder)
        self._again(f"nr_inodes={found.f_files - found.f_ffree + left}")

    def read_only(self):
        """Nothing can be written."""
        self._again("ro")

    def close(self):
        """Take it away; what this process still has mapped of its files goes when it ends."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _again(self, options):
        _mount("-o", f"remount,{options}", str(self.folder))


def _mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
