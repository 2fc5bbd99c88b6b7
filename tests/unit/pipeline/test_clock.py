import os
import time

from tdro.pipeline.clock import remarks


def test_files_with_a_time_that_is_yet_to_come_are_named_with_what_to_type(tmp_path):
    assert remarks(tmp_path / "none") == []
    (tmp_path / "data").mkdir()
    for name, seconds in (("now", 0), ("soon", 60), ("late", 3600), ("later", 7200), (".hidden", 9999)):
        path = tmp_path / "data" / name
        path.touch()
        os.utime(path, (then := time.time() + seconds, then))
    (said,) = remarks(tmp_path)
    assert said.startswith(
        f"2 files of {tmp_path} have a time that is yet to come, such as {tmp_path}/data/later (in 120"
    )
    assert f"find {tmp_path} -newermt now -exec touch {{}} +" in said
