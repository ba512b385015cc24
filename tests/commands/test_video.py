"""Videos for `predict`: their pictures are segmented by ffmpeg's help, which may not be there."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.segmenting import NET, Predict, photo


@pytest.fixture
def clip(project: Path) -> Path:
    """A video of three pictures, red, green, blue, of odd width, at two a second."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg here")
    for number, colour in enumerate(("red", "lime", "blue")):
        Image.new("RGB", (65, 48), colour).save(project / f"{number}.ppm")
    made = ["ffmpeg", "-v", "error", "-framerate", "2", "-i", "%d.ppm", "-c:v", "ffv1", "-pix_fmt", "bgr0", "clip.mkv"]
    subprocess.run(made, cwd=project, check=True)
    return Path("clip.mkv")


def test_a_video_is_its_pictures(predict: Predict, clip: Path) -> None:
    """Each picture has its results, and the overlays are a video of as many pictures, which the page shows."""
    Path("cut.mkv").write_bytes(clip.read_bytes()[:300])
    Path("addresses.mp4").write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n", encoding="ascii")
    code, said, told = predict(NET, clip, "cut.mkv", "addresses.mp4", "--out", "out")
    assert code == 2
    assert all(f"{name} is no video that ffmpeg can read" in told for name in ("cut.mkv", "addresses.mp4"))
    frames = [Image.open(path) for path in sorted(Path("out/clip.mkv.fcn-frames").glob("*photo.jpg"))]
    assert [np.asarray(frame).mean((0, 1)).argmax() for frame in frames] == [0, 1, 2]
    assert "-> out/clip.mkv.fcn-overlay.mp4" in said
    asked = ["-count_frames", "-show_entries", "stream=nb_read_frames,r_frame_rate", "-of", "csv=p=0"]
    ended = subprocess.run(["ffprobe", "-v", "error", *asked, "out/clip.mkv.fcn-overlay.mp4"], capture_output=True)
    assert ended.stdout.strip() == b"2/1,3"
    assert 'src="clip.mkv.fcn-overlay.mp4"' in Path("out/index.html").read_text(encoding="utf-8")
    assert predict(NET, clip, "--fps", "1", "--out", "out")[0] == 0, "results of its own it replaces"
    assert len(list(Path("out/clip.mkv.fcn-frames").glob("*photo.jpg"))) == 2, "none of those before are left"


def test_without_ffmpeg_a_video_is_one_sentence(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what reads videos, and how to get it; pictures beside it are segmented."""
    monkeypatch.setenv("PATH", "")
    Path("clip.mp4").touch()
    code, said, told = predict(NET, "clip.mp4", photo(Path("photo.png")))
    assert (code, "photo.png.fcn-label.png" in said) == (2, True)
    assert "error: clip.mp4 is a video, whose pictures ffmpeg takes out, and there is no ffmpeg here: install" in told
