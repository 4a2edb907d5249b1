package managedidentity

import "io/fs"

// private leaves that to the folder's access control list.
func private(fs.FileInfo) bool { return true }
