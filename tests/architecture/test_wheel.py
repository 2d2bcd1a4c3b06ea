"""What a user installs holds everything that is read at run time, and nothing of the tests."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests.architecture.imports import PACKAGES, ROOT

DATA = {".yaml", ".tcss"}


def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in DATA | {".py"}
    }
    assert any(name.endswith(".yaml") for name in wanted)
    assert wanted <= packed
    assert {name.partition("/")[0] for name in packed} == set(PACKAGES)
