package managedidentity

import "io/fs"

// private leaves the matter to the folder's access list.
func private(fs.FileInfo) bool { return true }
