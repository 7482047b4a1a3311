//! What must hold of the rooms together: the run table over a real journal, through restarts.

mod model;
mod sequences;
