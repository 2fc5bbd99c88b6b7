"""Which pages of the site lie outside docs/."""

#: Pages that lie outside docs/, by the name that they have on the site.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "config/README.md": "configuration.md",
    "resources/SOURCES.md": "sources.md",
    "resources/released_weights/README.md": "released_weights.md",
}
