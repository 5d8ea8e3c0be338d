"""Pictures to remember: files of digits and characters, drawn glyphs, and few-shot episodes of them."""
