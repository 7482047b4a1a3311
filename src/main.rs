//! argv to exit code.

fn main() -> std::process::ExitCode {
    sluicegate::cli::main()
}
