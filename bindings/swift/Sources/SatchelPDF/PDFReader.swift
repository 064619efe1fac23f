// PDF files through PDFKit, where the system has it.
#if canImport(PDFKit)
import Foundation
import PDFKit
import Satchel

/// Reads PDF files with the system's PDFKit: text and page numbers.
///
/// ```swift
/// try await store.add(reader: PDFReader())
/// ```
///
/// Pages that hold only pictures have no text. Encrypted files that need a password are reported as
/// such.
public struct PDFReader: Reader {
    /// `pdfkit`.
    public let id = "pdfkit"
    /// `application/pdf`.
    public let mediaTypes = ["application/pdf"]
    /// `pdf`.
    public let fileExtensions = ["pdf"]

    /// A reader.
    public init() {}

    /// The text of each page.
    public func read(_ data: Data, mediaType: String) async throws -> [ReaderPart] {
        guard let document = PDFDocument(data: data) else {
            throw SatchelError(.damaged, "PDFKit cannot open the file: it is damaged or no PDF")
        }
        guard !document.isLocked else {
            throw SatchelError(.permission, "the PDF is encrypted; save it without a password")
        }
        var parts: [ReaderPart] = []
        if let title = document.documentAttributes?[PDFDocumentAttribute.titleAttribute] as? String,
            !title.isEmpty
        {
            parts.append(.title(title))
        }
        for index in 0..<document.pageCount {
            try Task.checkCancellation()
            // PDFKit keeps what it makes of a page until the pool is emptied.
            let text = autoreleasepool { document.page(at: index)?.string }
            parts.append(.page(index + 1))
            if let text, !text.isEmpty { parts.append(.text(text + "\n\n")) }
        }
        return parts
    }
}
#endif
