"""What lies on disk: `Database` (threads, transactions) and `StorageManager` (entities in and out)."""
