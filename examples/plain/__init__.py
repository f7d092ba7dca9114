"""gearfleet without Django: a folder of documents that workers read and pack."""
