"""Everything declarative is in pyproject.toml; this maps two folders.

The Supervisor templates and the examples live at the top of the repository,
next to the package. They are installed as ``gearfleet.templates`` and
``gearfleet.examples``, so that a wheel can render and run the demo.
"""

from setuptools import find_packages, setup

EXAMPLES = ["gearfleet.examples"] + [
    f"gearfleet.examples.{name}" for name in find_packages("examples")
]

setup(
    packages=[
        *find_packages(include=["gearfleet", "gearfleet.*"]),
        "gearfleet.templates",
        *EXAMPLES,
    ],
    package_dir={"gearfleet.templates": "templates", "gearfleet.examples": "examples"},
    package_data={
        "gearfleet": ["py.typed"],
        "gearfleet.templates": ["**/*.j2"],
        "gearfleet.examples": ["**/*.py", "**/*.toml", "**/*.md"],
    },
    include_package_data=False,
)
