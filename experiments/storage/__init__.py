"""The storage of results: run ids, records, Parquet parts on disk, and the provenance of the numbers."""
