//! Which programs feed each other through a pipe: `wget -O- ... | sh`.
//!
//! Both ends of a pipe have the same inode number. The ends are noted at exec, whichever comes first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::image::Image;
use crate::event::Descriptor;

const TYPE_MASK: u32 = 0o170_000;
const TYPE_PIPE: u32 = 0o010_000;
/// Programs noted at each end of one pipe.
const PROGRAMS: usize = 4;

/// Who writes to and reads from a pipe.
#[derive(Clone, Debug, Default)]
struct Ends {
    writers: Vec<Arc<Image>>,
    readers: Vec<Arc<Image>>,
    time: u64,
}

/// The programs at the other ends of a program's standard input and output.
#[derive(Clone, Debug, Default)]
pub struct PipeLinks {
    /// Programs whose output is this program's input.
    pub writers: Vec<Arc<Image>>,
    /// Programs whose input is this program's output.
    pub readers: Vec<Arc<Image>>,
}

/// Pipes seen at a recent exec.
pub struct Pipes {
    ends: foldhash::HashMap<u64, Ends>,
    order: VecDeque<(u64, u64)>,
    capacity: usize,
    age: u64,
}

impl Pipes {
    /// Remembers `capacity` pipes for `age` nanoseconds after the last exec that used them.
    pub fn new(capacity: usize, age: u64) -> Self {
        Self { ends: foldhash::HashMap::default(), order: VecDeque::new(), capacity: capacity.max(1), age }
    }

    /// Notes the pipes of a program that was just started, and gives the programs at their other ends.
    pub fn exec(&mut self, image: &Arc<Image>, stdio: &[Descriptor; 3], time: u64) -> PipeLinks {
        self.expire(time);
        let mut links = PipeLinks::default();
        if let Some(inode) = pipe(&stdio[0]) {
            let ends = self.ends(inode, time);
            push(&mut ends.readers, image);
            links.writers.clone_from(&ends.writers);
        }
        if let Some(inode) = pipe(&stdio[1]) {
            let ends = self.ends(inode, time);
            push(&mut ends.writers, image);
            links.readers.clone_from(&ends.readers);
        }
        links
    }

    fn ends(&mut self, inode: u64, time: u64) -> &mut Ends {
        while !self.ends.contains_key(&inode) && self.ends.len() >= self.capacity && !self.order.is_empty() {
            self.drop_oldest();
        }
        self.order.push_back((time, inode));
        let ends = self.ends.entry(inode).or_default();
        ends.time = time;
        ends
    }

    fn expire(&mut self, now: u64) {
        while self.order.front().is_some_and(|(time, _)| time.saturating_add(self.age) < now) {
            self.drop_oldest();
        }
        // A pipe used over and over leaves many entries in the order; the bound on them is the bound on memory.
        while self.order.len() > 4 * self.capacity {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((time, inode)) = self.order.pop_front()
            && self.ends.get(&inode).is_some_and(|ends| ends.time <= time)
        {
            self.ends.remove(&inode);
        }
    }
}

fn pipe(descriptor: &Descriptor) -> Option<u64> {
    (descriptor.mode & TYPE_MASK == TYPE_PIPE).then_some(descriptor.inode)
}

fn push(programs: &mut Vec<Arc<Image>>, image: &Arc<Image>) {
    if programs.len() == PROGRAMS {
        programs.remove(0);
    }
    programs.push(Arc::clone(image));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &[u8]) -> Arc<Image> {
        Arc::new(Image { command: name.into(), ..Image::default() })
    }

    fn stdio(input: u64, output: u64) -> [Descriptor; 3] {
        let pipe = |inode| Descriptor {
            inode,
            mode: if inode == 0 { 0 } else { TYPE_PIPE },
            ..Descriptor::default()
        };
        [pipe(input), pipe(output), Descriptor::default()]
    }

    #[test]
    fn both_orders_of_exec_are_linked() {
        let mut pipes = Pipes::new(8, 100);
        assert!(pipes.exec(&image(b"sh"), &stdio(5, 0), 1).writers.is_empty());
        let links = pipes.exec(&image(b"wget"), &stdio(0, 5), 2);
        assert_eq!(&*links.readers[0].command, b"sh");
        let links = pipes.exec(&image(b"bash"), &stdio(5, 0), 3);
        assert_eq!(&*links.writers[0].command, b"wget");
    }

    #[test]
    fn pipes_are_forgotten_by_age_and_number() {
        let mut pipes = Pipes::new(2, 100);
        pipes.exec(&image(b"wget"), &stdio(0, 5), 1);
        assert!(pipes.exec(&image(b"sh"), &stdio(5, 0), 500).writers.is_empty());
        for inode in 10..1000 {
            pipes.exec(&image(b"x"), &stdio(0, inode), 501);
        }
        assert!(pipes.ends.len() <= 2 && pipes.order.len() <= 9);
        for _ in 0..1000 {
            pipes.exec(&image(b"x"), &stdio(0, 7), 502);
        }
        assert!(pipes.order.len() <= 9);
    }
}
