"""An app that stores public trades and shows prices."""
