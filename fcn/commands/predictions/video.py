"""Videos, by ffmpeg where it is there: their pictures out, and overlays back into one."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn.errors import InputError

SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"}
_KINDS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts"
# Under any suffix there may be a list of addresses or of other files: ffprobe tries those of one for ever.
_QUIET = ["-v", "error", "-protocol_whitelist", "file,pipe"]
_READ = [*_QUIET, "-format_whitelist", _KINDS]
_EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2"  # as codecs want width and height


def rate(path: Path, *, shown: str) -> str:
    """Pictures a second, as ffmpeg writes it: 25/1.

    Raises InputError where there is no ffmpeg, or the file is no video.
    """
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        raise InputError(
            f"{shown} is a video, whose pictures ffmpeg takes out, and there is no ffmpeg here: install it "
            "(`apt-get install ffmpeg`, `brew install ffmpeg`), or give pictures"
        )
    asked = ["-select_streams", "v:0", "-show_entries", "stream=avg_frame_rate", "-of", "csv=p=0"]
    told = subprocess.run(["ffprobe", *_READ, *asked, _file(path)], capture_output=True, check=False)
    found = told.stdout.decode("ascii", "replace").strip().rstrip(",")
    if told.returncode != 0 or not found:
        raise InputError(f"{shown} is no video that ffmpeg can read ({_last(told.stderr) or 'it has no pictures'})")
    return "25/1" if found.startswith("0/") else found


def pictures(path: Path, *, rate: str, shown: str) -> Iterator[NDArray[np.uint8]]:
    """The video's pictures, H W 3 RGB, so many a second, one after the other.

    Raises InputError where there is none.
    """
    command = ["ffmpeg", "-nostdin", *_READ, "-i", _file(path), "-map", "0:v:0", "-vf", f"fps={rate}"]
    command += ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as running:
        assert running.stdout is not None
        none = True
        try:
            while running.stdout.readline():  # "P6", "width height", "255", and then the pixels
                width, height = (int(number) for number in running.stdout.readline().split())
                running.stdout.readline()
                content = running.stdout.read(3 * width * height)
                if len(content) < 3 * width * height:  # ffmpeg was killed
                    break
                yield np.frombuffer(content, np.uint8).reshape(height, width, 3)
                none = False
        finally:
            running.kill()
        said.seek(0)
        wrong = _last(said.read())
    if none:
        raise InputError(f"{shown} is no video that ffmpeg can read ({wrong or 'it has no pictures'})")
    if wrong:
        print(f"{shown} may be damaged or cut off: ffmpeg says {wrong!r}", file=sys.stderr)


def write(path: Path, *, folder: Path, pattern: str, count: int, rate: str, comment: str) -> None:
    """Make an MP4 of the first `count` pictures in `folder`, all of one size, whose names have numbers in `pattern`."""
    command = ["ffmpeg", "-nostdin", *_QUIET, "-y", "-framerate", rate, "-i", pattern, "-frames:v", str(count)]
    command += ["-vf", _EVEN, "-pix_fmt", "yuv420p", "-metadata", f"comment={comment}", "-f", "mp4", _file(path)]
    made = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if made.returncode != 0:
        raise InputError(f"ffmpeg can't make a video of the pictures in {folder} ({_last(made.stderr)})")


def _file(path: Path) -> str:
    """As ffmpeg takes it for a file, whatever is in its name."""
    return f"file:{path.absolute()}"


def _last(said: bytes) -> str:
    """The last line, without the name of what it is about."""
    return (said.decode("utf-8", "replace").strip().splitlines() or [""])[-1].rpartition(": ")[2]
