//! Tests of the library and of the program `qdllm`, in one program.

mod compile;
mod controls;
mod data;
mod distill;
mod endpoint;
mod evaluate;
mod reproduce;
mod soft;
mod teacher;
mod users;
