"""Each module is one process to measure. They read MY_API_URL, MY_API_KEY and BENCH_OUTPUT."""
