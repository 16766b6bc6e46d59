package worker

const (
	// Of descriptors: what the process needs for itself, and what a connection
	// takes at most as a rule. It is two, one each way, and two more while the
	// kernel moves what is not taken at once.
	ownDescriptors  = 64
	eachDescriptors = 4

	// eachMemory is what a connection may take of the memory, in bytes. An
	// idle one of the dearest protocol takes 45 KB (docs/benchmarks.md).
	eachMemory = 64 << 10

	// leastRoom is what there is at any rate.
	leastRoom = 16
)

// room returns how many connections there may be with so many descriptors and
// so many bytes of memory. That is what the meter divides among users; each of
// them leaves as many as he has.
func room(descriptors, memory uint64) int {
	const most = 1 << 20
	byFiles := (descriptors - min(descriptors, ownDescriptors)) / eachDescriptors
	return int(min(max(min(byFiles, memory/eachMemory), leastRoom), most))
}
