#![doc = include_str!("../README.md")]

pub mod cli;
pub mod commands;
pub mod compile;
pub mod controls;
pub mod data;
pub mod evaluation;
pub mod gradient;
pub mod inference;
pub mod numeric;
pub mod options;
pub mod regression;
pub mod reproduce;
pub mod resource_usage;
pub mod seed;
pub mod student;
pub mod teacher;
