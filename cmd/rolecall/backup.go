package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/backup"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// standardStream is the file name that means standard output or input.
const standardStream = "-"

func backupCommand(c *cli) *cobra.Command {
	var withoutKey bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write everything in the data folder to one file",
		Long: `Writes a consistent backup of the data folder, with or without a server running on it.
The file contains the folder's key, so anyone who can read the file can issue tokens:
keep it as secret as the folder, or leave the key out with --no-key and keep a copy of
the file ` + "`kek`" + ` somewhere else. FILE can be - for standard output.`,
		Example: `  rolecall backup rolecall.backup
  rolecall backup --no-key rolecall.backup`,
		Args: command.Exactly(1, "the file to write; - for standard output"),
	}
	cmd.Flags().BoolVar(&withoutKey, "no-key", false, "leave out the folder's key, and encrypt private files with it")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := c.NeedData(); err != nil {
			return err
		}
		cfg := server.BackupConfig{Dir: c.Dir, Actor: directory.Operator("cli:backup"), File: args[0], WithoutKey: withoutKey, Version: thisBuild().Version, Now: c.Now}
		if cfg.File == standardStream {
			if c.Screen.Terminal {
				return command.UsageError(cmd, errors.New("a backup is not for a terminal: name a file, or redirect standard output"))
			}
			cfg.File, cfg.Out = "", c.Out
		}
		header, err := server.Backup(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		c.warnOfKey(args[0], withoutKey)
		if cfg.File == "" {
			return nil
		}
		return c.Print(format, backupListing(newBackupInfo(cfg.File, "", *header)))
	}
	return cmd
}

// warnOfKey says what the reader of a backup can do with it.
func (c *cli) warnOfKey(file string, withoutKey bool) {
	if file == standardStream {
		file = "the backup"
	}
	if withoutKey {
		c.Say("%s cannot be restored without %s: keep a copy of that file somewhere else", file, filepath.Join(c.Dir, backup.Key))
		return
	}
	c.Say("%s contains the key of %s: anyone who can read it can issue tokens. Keep it secret", file, c.Dir)
}

// A backupInfo is what a backup is, or was restored to.
type backupInfo struct {
	File    string    `json:"file,omitempty"`
	Folder  string    `json:"folder,omitempty"`
	Aside   string    `json:"keptAside,omitempty"`
	Created time.Time `json:"created"`
	Version string    `json:"version"`
	Key     string    `json:"key"` // its fingerprint
	HasKey  bool      `json:"hasKey"`
}

func newBackupInfo(file, folder string, header backup.Header) backupInfo {
	return backupInfo{File: file, Folder: folder, Created: header.Created, Version: header.Version, Key: header.KEK, HasKey: !header.Sealed}
}

func backupListing(info backupInfo) output.Listing {
	place, column := info.File, "file"
	if info.Folder != "" {
		place, column = info.Folder, "folder"
	}
	hasKey := "no"
	if info.HasKey {
		hasKey = "yes"
	}
	return output.Listing{
		Columns: []string{column, "created", "key", "has key"}, Value: info,
		Rows: [][]string{{place, command.ShortTime(info.Created), info.Key, hasKey}},
	}
}

func restoreCommand(c *cli) *cobra.Command {
	var cfg server.RestoreConfig
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data folder from a backup",
		Long: `Checks a backup that ` + "`rolecall backup`" + ` wrote and makes the data folder from it. The folder
must be empty, or --force moves what is in it aside, and no server may be running on it.
The directory is then as it was at the time of the backup: whatever was revoked, removed or
rotated since is valid again. FILE can be - for standard input.`,
		Example: `  rolecall restore rolecall.backup --data restored
  rolecall restore --force rolecall.backup`,
		Args: command.Exactly(1, "the backup to restore; - for standard input"),
	}
	flags := cmd.Flags()
	flags.BoolVar(&cfg.Force, "force", false, "replace a folder that is not empty; the old one is kept beside it")
	flags.StringVar(&cfg.Key, "key", "", "the folder's file kek, for a backup that was made with --no-key")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if err := c.NeedData(); err != nil {
			return err
		}
		cfg.Dir, cfg.Now, cfg.Log, cfg.From, cfg.Actor = c.Dir, c.Now, c.Log(slog.LevelWarn), c.In, directory.Operator("cli:restore")
		if args[0] != standardStream {
			f, err := os.Open(args[0])
			if err != nil {
				return command.Failed("name a file that `rolecall backup FILE` wrote", "%w", err)
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			cfg.From = f
		}
		restored, err := server.Restore(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if restored.Aside != "" {
			c.Say("what was in %s is in %s now: remove that when you no longer need it", c.Dir, restored.Aside)
		}
		info := newBackupInfo("", c.Dir, restored.Header)
		info.Aside = restored.Aside
		return c.Print(format, backupListing(info))
	}
	return cmd
}
