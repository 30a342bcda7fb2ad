"""Tables in and out: CSV, TSV, JSONL, XLSX and Parquet, a row at a time."""
