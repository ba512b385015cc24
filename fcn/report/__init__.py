"""One page of everything that a profile's runs gave: as HTML that is whole in itself, and as Markdown."""
