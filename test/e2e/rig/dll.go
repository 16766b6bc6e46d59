//go:build linux

package rig

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
)

// exports is the export directory table of a DLL.
type exports struct {
	Flags, Time                                  uint32
	Major, Minor                                 uint16
	Name, OrdinalBase                            uint32
	Functions, Names                             uint32 // how many there are
	FunctionTable, NameTable, FunctionNumberList uint32 // where they are
}

// forwarder returns a DLL for 64-bit Windows that has one function, which is
// that of another DLL: target, as in "advapi32.SystemFunction036". It holds no
// code: only headers, and a section for the exports. All numbers are those of
// https://learn.microsoft.com/windows/win32/debug/pe-format.
func forwarder(dll, function, target string) ([]byte, error) {
	const (
		dosSize    = 0x40   // the header of MS-DOS, which ends with where the next one is
		pe32Plus   = 0x20b  // what kind of optional header follows
		inFile     = 0x200  // the parts of the file begin at multiples of it
		inMemory   = 0x1000 // and those in memory, of it
		section    = inMemory
		tables     = section + 40 // behind the directory: one function, one name, the name's function
		nameTable  = tables + 4
		numberList = nameTable + 4
		dllName    = numberList + 2
		windows6   = 6 // Vista: what the system has to be at least
	)
	functionName := uint32(dllName + len(dll) + 1)
	targetName := functionName + uint32(len(function)+1)
	var body bytes.Buffer
	if err := writeAll(&body,
		exports{
			Name: dllName, OrdinalBase: 1, Functions: 1, Names: 1,
			FunctionTable: tables, NameTable: nameTable, FunctionNumberList: numberList,
		},
		targetName, // a function within the export section is the name of another
		functionName, uint16(0),
		[]byte(dll+"\x00"+function+"\x00"+target+"\x00"),
	); err != nil {
		return nil, err
	}
	size := uint32(body.Len())

	optional := pe.OptionalHeader64{
		Magic:            pe32Plus,
		ImageBase:        0x180000000, // the linker's for DLLs
		SectionAlignment: inMemory, FileAlignment: inFile,
		MajorOperatingSystemVersion: windows6, MajorSubsystemVersion: windows6,
		SizeOfInitializedData: inFile, SizeOfImage: 2 * inMemory, SizeOfHeaders: inFile,
		Subsystem:           pe.IMAGE_SUBSYSTEM_WINDOWS_CUI,
		DllCharacteristics:  pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE | pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
		NumberOfRvaAndSizes: 16,
	}
	optional.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.DataDirectory{VirtualAddress: section, Size: size}
	dos := make([]byte, dosSize)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[dosSize-4:], dosSize)
	var file bytes.Buffer
	if err := writeAll(&file,
		dos, []byte("PE\x00\x00"),
		pe.FileHeader{
			Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1, SizeOfOptionalHeader: uint16(binary.Size(optional)),
			Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE | pe.IMAGE_FILE_DLL,
		},
		optional,
		pe.SectionHeader32{
			Name: [8]uint8([]byte(".edata\x00\x00")), VirtualSize: size, VirtualAddress: section,
			SizeOfRawData: inFile, PointerToRawData: inFile,
			Characteristics: pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
		},
	); err != nil {
		return nil, err
	}
	file.Write(make([]byte, inFile-file.Len()))
	file.Write(body.Bytes())
	file.Write(make([]byte, 2*inFile-file.Len()))
	return file.Bytes(), nil
}

// writeAll writes values as Windows lays them out.
func writeAll(to *bytes.Buffer, values ...any) error {
	for _, v := range values {
		if err := binary.Write(to, binary.LittleEndian, v); err != nil {
			return err
		}
	}
	return nil
}
