/// Runs `aside` on the current rayon pool while `here` runs on this thread; one after the other where waking another
/// thread, some tens of microseconds, costs more than it gains.
pub fn beside<R>(is_worth_it: bool, aside: impl FnOnce() + Send, here: impl FnOnce() -> R) -> R {
    if !is_worth_it {
        aside();
        return here();
    }
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| aside());
        here()
    })
}
