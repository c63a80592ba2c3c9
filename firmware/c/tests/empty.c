/* For sizes: the library alone. */
typedef int qdllm_nothing;
