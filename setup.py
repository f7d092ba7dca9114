"""Everything declarative is in pyproject.toml; this maps two folders.

The Supervisor templates and the examples live at the top of the repository,
next to the package. They are installed as ``gearfleet.templates`` and
``gearfleet.examples``, so that a wheel can render and run the demo.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["gearfleet", "gearfleet.*"]),
        "gearfleet.templates",
        "gearfleet.examples",
    ],
    package_dir={"gearfleet.templates": "templates", "gearfleet.examples": "examples"},
    package_data={
        "gearfleet": ["py.typed"],
        "gearfleet.contrib.django": ["templates/**/*.html", "locale/**/*.[mp]o"],
        "gearfleet.templates": ["**/*.j2"],
        # Projects, not packages: every file of theirs is data, the Python too.
        "gearfleet.examples": ["**/*", "**/.gitignore"],
    },
    # What an example leaves behind when it runs.
    exclude_package_data={
        "gearfleet.examples": ["**/__pycache__/*", "shop/data/*", "shop/data/**/*"]
    },
    include_package_data=False,
)
